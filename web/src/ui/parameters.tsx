// Parameters of a workflow as fields, with their defaults and help; what is changed stands in the address.
import type { ParameterShown } from "../api/types";
import { setParameters, useRoute } from "../route";
import { Input } from "./parts";

const KEY = "p.";
const LISTS = ["floats", "ints"];
const NUMBERS = ["float", "int"];

/** The changed parameters in an address; what is no number is left to the server to refuse in words. */
export function parametersOf(parameters: readonly ParameterShown[], query: URLSearchParams): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const { name, type } of parameters) {
    const text = query.get(KEY + name);
    if (text !== null) given[name] = read(type, text);
  }
  return given;
}

function read(type: string, text: string): unknown {
  if (LISTS.includes(type)) return text.split(/[\s,;]+/).filter(Boolean).map(number);
  if (NUMBERS.includes(type)) return number(text);
  return type === "bool" ? text === "true" : text;
}

function number(text: string): number | string {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? value : text;
}

function told(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

export function ParameterFields({ parameters }: { parameters: readonly ParameterShown[] }) {
  const { query } = useRoute();
  const set = ({ name, default: usual }: ParameterShown, text: string) =>
    setParameters({ [KEY + name]: text === told(usual) ? "" : text });
  return (
    <fieldset>
      <legend>Parameters</legend>
      {parameters.map((parameter) => {
        const { name, description, unit } = parameter;
        const changed = query.get(KEY + name);
        return (
          <div class="field" key={name}>
            <label>
              <span>
                {name}
                {unit && unit !== "1" ? ` (${unit})` : ""}
                {changed === null ? "" : " · changed"}
              </span>
              <Field parameter={parameter} value={changed ?? told(parameter.default)} set={(text) => set(parameter, text)} />
            </label>
            <small>
              {description} {range(parameter)}
            </small>
          </div>
        );
      })}
    </fieldset>
  );
}

function range({ type, minimum, maximum }: ParameterShown): string {
  const limits = minimum !== null && maximum !== null ? `${minimum} to ${maximum}` : "";
  return [LISTS.includes(type) ? "Several, with commas." : "", limits && `From ${limits}.`].filter(Boolean).join(" ");
}

interface FieldProps {
  readonly parameter: ParameterShown;
  readonly value: string;
  readonly set: (text: string) => void;
}

function Field({ parameter, value, set }: FieldProps) {
  const { type, choices, minimum, maximum } = parameter;
  const options = type === "bool" ? ["true", "false"] : choices;
  if (options && options.length > 0)
    return (
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option}>{option}</option>
        ))}
      </select>
    );
  if (NUMBERS.includes(type))
    return (
      <Input
        type="number"
        step={type === "int" ? 1 : "any"}
        min={minimum ?? undefined}
        max={maximum ?? undefined}
        value={value}
        required
        choose={set}
      />
    );
  return <Input type="text" value={value} choose={set} />;
}
