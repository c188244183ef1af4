"""What carries a batch while Dagster is down: the same Glue jobs, started by a state machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import aws_events as events
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions

from deploy.cdk import names
from deploy.cdk.stack import RUN_JOBS, Part, acknowledge, grant
from deploy.glue.standby import definition

NAME: Final = "standby"


class Standby:
    """A state machine that runs every table's job, each after those whose tables it reads.

    A person starts it, or, where the environment says so, the alarm that the sensor, or Dagster's
    daemon, is still. What Dagster finds when it is back is done.

    Attributes:
        arn: of the state machine.
    """

    def __init__(
        self, stack: Part, started: Mapping[str, glue.CfnJob], settings: Mapping[str, Any]
    ) -> None:
        self._stack = stack
        role = self._role(started)
        machine = stepfunctions.CfnStateMachine(
            stack,
            "Machine-standby",
            state_machine_name=stack.named(NAME),
            role_arn=role.role_arn,
            definition_string=stack.to_json_string(
                definition(names.glue_job_prefix(stack.settings), stack.to_json_string(settings))
            ),
        )
        machine.node.add_dependency(role)
        for job in started.values():
            machine.add_resource_dependency(job)
        acknowledge(
            machine,
            "Each job writes a log of its own; the execution says which of them failed.",
            "AwsSolutions-SF1",
            "AwsSolutions-SF2",
        )
        self.arn = machine.ref
        self._let_the_alarm_start(machine)

    def _role(self, started: Mapping[str, glue.CfnJob]) -> iam.Role:
        role = iam.Role(
            self._stack,
            "Role-standby",
            role_name=self._stack.named(NAME),
            description="Starts the tables' Glue jobs in Dagster's place.",
            assumed_by=self._stack.service("states"),
        )
        # https://docs.aws.amazon.com/step-functions/latest/dg/connect-glue.html
        grant(role, RUN_JOBS, self._stack.glue_jobs(started))
        return role

    def _let_the_alarm_start(self, machine: stepfunctions.CfnStateMachine) -> None:
        """A rule on the alarm's change of state, on where the environment says so."""
        stack = self._stack
        starter = iam.Role(
            stack,
            "Role-standby-alarm",
            role_name=stack.named(f"{NAME}-alarm"),
            description="Starts the standby when the alarm goes off.",
            assumed_by=stack.service("events"),
        )
        grant(starter, ["states:StartExecution"], [machine.ref])
        events.CfnRule(
            stack,
            "Standby-alarm",
            name=stack.named(f"{NAME}-alarm"),
            description="Dagster's daemon is still: the standby takes its place.",
            state="ENABLED" if stack.settings.standby_by_alarm else "DISABLED",
            event_pattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {
                    "alarmName": [names.of(stack.settings, names.DAEMON_IS_STILL)],
                    "state": {"value": ["ALARM"]},
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id=NAME, arn=machine.ref, role_arn=starter.role_arn, input="{}"
                )
            ],
        )
