// A run on request: name or send its files, set its parameters, and go to the run to see its products come.
import { useState } from "preact/hooks";
import { useData } from "../api/data";
import { useMay } from "../api/session";
import type { RunOrdered, WorkflowItem, WorkflowList } from "../api/types";
import { go, pathOf, setParameters, useRoute } from "../route";
import { FileInput, refsOf } from "../ui/file-input";
import { useOrder } from "../ui/order";
import { ParameterFields, parametersOf } from "../ui/parameters";
import { Choice, Empty, Loading, Problem } from "../ui/parts";

export function NewRun() {
  const { data, error } = useData<WorkflowList>("/v1/workflows");
  const { query } = useRoute();
  const may = useMay("submit");
  if (!may) return <Empty>Your role starts no runs.</Empty>;
  if (!data) return error ? <Problem error={error} /> : <Loading what="workflows" />;
  const name = query.get("workflow") ?? "";
  const workflow = data.items.find((one) => one.name === name);
  return (
    <>
      <p>
        <a href="/runs">Runs</a> ›
      </p>
      <h1>New run</h1>
      <div class="bar">
        <Choice
          label="workflow"
          value={name}
          options={[["", "choose…"], ...data.items.map((one) => [one.name, one.name] as const)]}
          choose={(chosen) => go(chosen ? `/runs/new?workflow=${encodeURIComponent(chosen)}` : "/runs/new")}
        />
        {workflow && (
          <Choice
            label="engine"
            value={query.get("engine") ?? ""}
            options={[
              ["", `${data.engine} (configured)`],
              ...data.engines.filter((one) => one !== data.engine).map((one) => [one, one] as const),
            ]}
            choose={(engine) => setParameters({ engine })}
          />
        )}
      </div>
      {name && !workflow && <Empty>No workflow is called {name}.</Empty>}
      {!name && (
        <ul class="plain">
          {data.items.map((one) => (
            <li key={one.name}>
              <a href={`/runs/new?workflow=${encodeURIComponent(one.name)}`}>{one.name}</a>: {one.description}
            </li>
          ))}
        </ul>
      )}
      {workflow && <Form key={workflow.name} workflow={workflow} limit={data.upload_limit_bytes} />}
    </>
  );
}

function Form({ workflow, limit }: { workflow: WorkflowItem; limit: number }) {
  const { query } = useRoute();
  const { busy, error, send } = useOrder();
  const [sending, setSending] = useState(0);
  const files = workflow.inputs.map((port) => [port, refsOf(query, port.name)] as const);
  const missing = files.filter(([port, refs]) => port.required && refs.length === 0).map(([port]) => port.name);
  const submit = async (event: Event) => {
    event.preventDefault();
    const engine = query.get("engine");
    const answer = await send<RunOrdered>("/v1/runs", {
      workflow: workflow.name,
      inputs: Object.fromEntries(files.filter(([, refs]) => refs.length > 0).map(([port, refs]) => [port.name, refs.map((ref) => ref.order)])),
      parameters: parametersOf(workflow.parameters, query),
      ...(engine ? { engine } : {}),
      force: query.get("force") === "yes",
    });
    if (answer) go(`${pathOf("runs", answer.id)}${answer.new ? "" : "?known=yes"}`);
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <p>{workflow.description}</p>
      <h2>Files</h2>
      {workflow.inputs.map((port) => (
        <FileInput
          key={port.name}
          port={port}
          limit={limit}
          sending={(change) => setSending((count) => count + change)}
        />
      ))}
      {workflow.parameters.length > 0 && <ParameterFields parameters={workflow.parameters} />}
      <p>
        <label>
          <input
            type="checkbox"
            checked={query.get("force") === "yes"}
            onChange={(event) => setParameters({ force: event.currentTarget.checked ? "yes" : "" })}
          />{" "}
          Make the products again even if they are there
        </label>
      </p>
      <Problem error={error} />
      <button type="submit" class="strong" disabled={busy || sending > 0 || missing.length > 0}>
        Start run
      </button>{" "}
      <span class="empty" role="status">
        {sending > 0 ? "Waiting for the upload." : missing.length > 0 ? `Still missing: ${missing.join(", ")}.` : ""}
      </span>
    </form>
  );
}
