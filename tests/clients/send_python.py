"""Sends flow steps with an unmodified Python client and says which message ids it made: `URL KEY COUNT CLIENT`."""

import importlib
import json
import sys

CLIENTS = {"segment": "segment.analytics.client", "rudder": "rudderstack.analytics.client"}


def main(url: str, key: str, count: int, client: str) -> None:
    module = importlib.import_module(CLIENTS[client])
    sent, errors = [], []
    sender = module.Client(
        key, host=url, upload_interval=0.05, upload_size=5, on_error=lambda error, _: errors.append(str(error))
    )
    for number in range(count):
        _, message = sender.track(
            "user-1",
            "ui.flow_step",
            {
                "schema_version": 1,
                "tenant_id": "brabant-rental",
                "flow": "booking",
                "step": f"step-{number}",
                "outcome": "completed",
                "flow_run_id": f"run-{client}-{number}",
            },
        )
        sent.append(message["messageId"])
    sender.flush()
    sender.join()
    sys.stdout.write(json.dumps({"sent": sent, "errors": errors}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
