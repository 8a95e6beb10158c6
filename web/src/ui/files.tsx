// Files of the API: pictures and downloads, with the token if one is needed.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, token } from "../api/client";
import { Loading, Problem } from "./parts";

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

/** A picture that the server may be unable to draw: it says why. */
export function Drawing({ path, alt }: { path: string; alt: string }) {
  const [drawn, setDrawn] = useState<{ path: string; source?: string; error?: ApiError }>();
  useEffect(() => {
    let made = "";
    const stop = new AbortController();
    ask(path, { signal: stop.signal })
      .then((response) => response.blob())
      .then((blob) => setDrawn({ path, source: (made = URL.createObjectURL(blob)) }))
      .catch((problem: unknown) => {
        if (stop.signal.aborted) return;
        setDrawn({ path, error: problem instanceof ApiError ? problem : new ApiError(0, String(problem)) });
      });
    return () => {
      stop.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path]);
  if (drawn?.path !== path) return <Loading what="the picture" />;
  if (drawn.error) return <Problem error={drawn.error} />;
  return <img src={drawn.source} alt={alt} />;
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
