// Two fields for a new password that must be the same.

/** As the server wants it: longer is better than odder. */
const LEAST = 12;

export function NewPassword({ label = "New password" }: { label?: string }) {
  return (
    <>
      <label class="choice">
        <span>{label}</span>
        <input name="new" type="password" autocomplete="new-password" minLength={LEAST} required onInput={compare} />
      </label>
      <label class="choice">
        <span>once more</span>
        <input name="again" type="password" autocomplete="new-password" required onInput={compare} />
      </label>
    </>
  );
}

/** Programs that keep passwords fill in both at once: what counts is what the fields hold. */
function compare(event: InputEvent): void {
  const fields = (event.currentTarget as HTMLInputElement).form?.elements;
  const [first, again] = ["new", "again"].map((name) => fields?.namedItem(name) as HTMLInputElement);
  again?.setCustomValidity(again.value === first?.value ? "" : "Not the same.");
}
