/** The id of a run; files, fleets and the like have other names. */
export const RUN = /^[0-9a-f]{12}$/;

/** Characters that turn text around or hide it. */
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

/** A text from outside as it is: nothing in it hides or turns around. */
export function visible(text: string): string {
  return text.replace(HIDDEN, "\ufffd");
}

/** The last part of a path. */
export function fileName(path: string): string {
  return visible(path.split("/").pop() ?? path);
}
