// Files sent to the server, with how far they are: `fetch` does not tell.
import { ApiError, authorization, failureOf } from "./client";

export interface Upload {
  readonly id: Promise<string>;
  readonly stop: () => void;
}

/** Send a file; `progress` is told the part of it that is sent, 0 to 1. */
export function upload(file: File, progress: (part: number) => void): Upload {
  const request = new XMLHttpRequest();
  const id = new Promise<string>((resolve, reject) => {
    request.open("POST", `/v1/uploads?name=${encodeURIComponent(plainName(file.name))}`);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onload = () => {
      if (request.status === 201) resolve((JSON.parse(request.responseText) as { upload: string }).upload);
      else reject(failureOf(request.status, request.statusText, request.responseText));
    };
    request.onerror = () => reject(new ApiError(0, "the file did not get through", "the server ended the connection"));
    request.onabort = () => reject(new ApiError(0, "stopped"));
    request.send(file);
  });
  return { id, stop: () => request.abort() };
}

/** The name that the server stores a file by: its format may depend on it, so what can stay does. */
export function plainName(name: string): string {
  return name.replace(/[^A-Za-z0-9._+-]/g, "_").replace(/^[^A-Za-z0-9]+/, "").slice(-200) || "file";
}
