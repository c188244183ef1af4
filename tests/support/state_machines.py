"""Step Functions on this machine: moto's interpreter, which asks a Glue that really runs jobs.

As a program it is moto's server; see `main`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import requests

from tests.support import PROJECT
from tests.support.glue_runtime import LocalGlue
from tests.support.servers import answering, own_port, serving

ROLE = "arn:aws:iam::123456789012:role/states"


def carried_out(machine: Mapping[str, object], glue: LocalGlue, folder: Path) -> dict[str, Any]:
    """An execution of a state machine at its end, as DescribeExecution tells of it.

    ``folder`` gets what the interpreter prints.
    """
    with own_port() as port:
        url = f"http://127.0.0.1:{port}"
        # Where moto's interpreter finds other services.
        environment = os.environ | {"MOTO_PORT": glue.port, "AWS_DEFAULT_REGION": "us-east-1"}
        program = [sys.executable, "-m", __name__, "-H", "127.0.0.1", "-p", str(port)]
        answers = answering(f"{url}/moto-api/data.json")
        with serving(program, answers, folder / "states.log", env=environment, cwd=PROJECT):
            interpret = {"stepfunctions": {"execute_state_machine": True}}
            requests.post(f"{url}/moto-api/config", json=interpret, timeout=60).raise_for_status()
            states = boto3.client("stepfunctions", endpoint_url=url)
            arn = states.create_state_machine(
                name="machine", definition=json.dumps(machine), roleArn=ROLE
            )["stateMachineArn"]
            execution = states.start_execution(stateMachineArn=arn, name="night-1")["executionArn"]
            while True:
                found: dict[str, Any] = states.describe_execution(executionArn=execution)
                if found["status"] != "RUNNING":
                    return found
                time.sleep(1)


def main() -> None:
    """Serve as `moto_server` does, with Glue's job runs waited for.

    moto 5.2.5 has the fault of its origin: a service that hands out no task token is never waited
    for (localstack/localstack#13705). So Glue hands one out, which nobody uses.
    """
    from moto.server import main as serve
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import resource
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_glue as glue,
    )

    token: Any = resource.ResourceCondition.WaitForTaskToken
    glue._SUPPORTED_INTEGRATION_PATTERNS.add(token)
    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
