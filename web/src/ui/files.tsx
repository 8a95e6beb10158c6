// Files of the API: pictures and downloads, with the token if one is needed.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, token } from "../api/client";

/** A picture; `<img>` alone could not send a token. */
export function Picture({ path, alt }: { path: string; alt: string }) {
  const [source, setSource] = useState(token() ? "" : path);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    setFailed(false);
    if (!token()) {
      setSource(path);
      return;
    }
    let made = "";
    const stop = new AbortController();
    ask(path, { signal: stop.signal })
      .then((response) => response.blob())
      .then((blob) => setSource((made = URL.createObjectURL(blob))))
      .catch(() => setFailed(!stop.signal.aborted));
    return () => {
      stop.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path]);
  if (failed) return <p class="empty">The picture is not there anymore.</p>;
  return source ? <img src={source} alt={alt} loading="lazy" onError={() => setFailed(true)} /> : null;
}

export function Download({ path, name, children }: { path: string; name: string; children: ComponentChildren }) {
  const save = async (event: Event) => {
    if (!token()) return;
    event.preventDefault();
    const made = URL.createObjectURL(await (await ask(path)).blob());
    const link = Object.assign(document.createElement("a"), { href: made, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(made), 60_000);
  };
  return (
    <a href={path} download={name} onClick={(event) => void save(event)}>
      {children}
    </a>
  );
}
