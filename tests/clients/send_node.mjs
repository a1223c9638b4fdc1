// Sends flow steps with the unmodified @segment/analytics-node and says which message ids it made: `URL KEY COUNT`.
import { Analytics } from "@segment/analytics-node";

const [url, writeKey, count] = process.argv.slice(2);
const errors = [];
const analytics = new Analytics({ writeKey, host: url, flushAt: 5, flushInterval: 50 });
analytics.on("error", (error) => errors.push(String(error.reason ?? error.code)));

const sent = await Promise.all(
  Array.from({ length: Number(count) }, (_, number) => {
    return new Promise((resolve) => {
      analytics.track(
        {
          userId: "user-1",
          event: "ui.flow_step",
          properties: {
            schema_version: 1,
            tenant_id: "brabant-rental",
            flow: "booking",
            step: `step-${number}`,
            outcome: "completed",
            flow_run_id: `run-node-${number}`,
          },
        },
        (_, context) => resolve(context.event.messageId),
      );
    });
  }),
);
await analytics.closeAndFlush({ timeout: 60000 });
console.log(JSON.stringify({ sent, errors }));
