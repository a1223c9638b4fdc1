// What must and what must not compile; `tsc` is the test. An unused `@ts-expect-error` is itself an error.
import { AnalyticsBrowser } from "@segment/analytics-next";
import { collectorSettings, createTracker, type EventName, type PropertiesOf } from "../src/index.js";

export async function browser(): Promise<void> {
  const [analytics] = await AnalyticsBrowser.load(...collectorSettings({ url: "https://events.example.com", writeKey: "k" }));
  createTracker(analytics, { tenant_id: "acme" });
}

export function snippet(client: AnalyticsBrowser): void {
  const tracker = createTracker(client, { tenant_id: "acme", project_id: "tour-1" });

  void tracker.track("ui.flow_step", { flow: "booking", step: "dates", outcome: "completed", flow_run_id: "run-1" });
  void tracker.track("ui.flow_step", {
    flow: "booking", step: "dates", outcome: "completed", flow_run_id: "run-1", project_id: "tour-2", duration_ms: 12,
  });

  // @ts-expect-error no such event
  void tracker.track("ui.flow_stepped", { flow: "booking" });
  // @ts-expect-error flow_run_id is missing
  void tracker.track("ui.flow_step", { flow: "booking", step: "dates", outcome: "completed" });
  void tracker.track("ui.flow_step", {
    flow: "booking", step: "dates", outcome: "completed", flow_run_id: "run-1",
    // @ts-expect-error no such property
    colour: "red",
  });
  void tracker.track("ui.flow_step", {
    flow: "booking", step: "dates", outcome: "completed", flow_run_id: "run-1",
    // @ts-expect-error not a number
    duration_ms: "12",
  });
  void tracker.track("lead.created", {
    lead_id: "l-1", created_at: "2026-03-29T02:30:00+01:00",
    // @ts-expect-error not a channel of the closed list
    channel: "billboard",
  });
  // @ts-expect-error the context needs the tenant
  createTracker(client, { project_id: "tour-1" });
}

const name: EventName = "invoice.paid";
const paid: PropertiesOf<"invoice.paid">["fully_paid"] = true;
// @ts-expect-error a version that the plan does not have
const version: PropertiesOf<"invoice.paid">["schema_version"] = 99;
export { name, paid, version };
