import assert from "node:assert/strict";
import { test } from "node:test";
import { collectorSettings, createTracker, SCHEMA_VERSIONS } from "../dist/index.js";

const STEP = { flow: "booking", step: "dates", outcome: "completed", flow_run_id: "run-1" };

function recordingClient() {
  const calls = [];
  const record = (name) => (...args) => Promise.resolve(calls.push([name, ...args]));
  return { calls, track: record("track"), page: record("page"), identify: record("identify") };
}

test("track fills in the version and the context", async () => {
  const client = recordingClient();
  await createTracker(client, { tenant_id: "acme", project_id: "tour-1" }).track("ui.flow_step", STEP);
  const filled = { schema_version: SCHEMA_VERSIONS["ui.flow_step"], tenant_id: "acme", project_id: "tour-1", ...STEP };
  assert.deepEqual(client.calls, [["track", "ui.flow_step", filled]]);
});

test("a property that the caller gives wins over the context", async () => {
  const client = recordingClient();
  const tracker = createTracker(client, { tenant_id: "acme", project_id: "tour-1" });
  await tracker.track("ui.flow_step", { ...STEP, project_id: "tour-2" });
  assert.equal(client.calls[0][2].project_id, "tour-2");
});

test("page and identify reach the client as they are", async () => {
  const client = recordingClient();
  const tracker = createTracker(client, { tenant_id: "acme" });
  await tracker.page("Bookings", { path: "/bookings" });
  await tracker.identify("user-1", { plan: "pro" });
  assert.deepEqual(client.calls, [["page", "Bookings", { path: "/bookings" }], ["identify", "user-1", { plan: "pro" }]]);
});

test("the settings send to the collector and bring what the client would ask a CDN for", () => {
  const [load, options] = collectorSettings({ url: "http://127.0.0.1:8000/", writeKey: "k" });
  assert.equal(load.writeKey, "k");
  assert.ok(load.cdnSettings);
  assert.deepEqual(options.integrations["Segment.io"], { apiHost: "127.0.0.1:8000/v1", protocol: "http" });
});

test("a collector behind a path keeps it", () => {
  const [, options] = collectorSettings({ url: "https://example.com/events", writeKey: "k" });
  assert.deepEqual(options.integrations["Segment.io"], { apiHost: "example.com/events/v1", protocol: "https" });
});

test("a URL that is not HTTP is refused with the mend", () => {
  assert.throws(() => collectorSettings({ url: "ftp://example.com", writeKey: "k" }), /neither http nor https/);
});
