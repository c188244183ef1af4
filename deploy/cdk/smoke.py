"""What sends a smoke batch through: one command, and nothing that a caller could change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions

from deploy.cdk.stack import Part, acknowledge, grant

COMMAND: Final = ("python", "-m", "deploy.smoke")
_HOURS: Final = 3
"""An hour for the way in, one for the way out, and the task's start."""
_RULE: Final = "StepFunctionsGetEventsForECSTaskRule"
"""By it Step Functions hears of a task's end; the name is AWS's.
https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
"""


class SmokeBatch:
    """A state machine that runs the smoke batch as a run's task, and fails where that fails.

    Who may start a task may give it any command, and so use all of its role's rights; who may
    start this machine may start this command. Its input is not looked at.

    Attributes:
        arn: of the state machine.
    """

    def __init__(self, stack: Part, cluster: str, task: str, placed: Mapping[str, object]) -> None:
        self._stack, self._cluster, self._task = stack, cluster, task
        self._role = iam.Role(
            stack,
            "Role-smoke",
            role_name=stack.named("smoke"),
            description="Starts the smoke batch's task.",
            assumed_by=stack.service("states"),
        )
        machine = stepfunctions.CfnStateMachine(
            stack,
            "Smoke",
            state_machine_name=stack.named("smoke"),
            role_arn=self._role.role_arn,
            definition_string=stack.to_json_string(definition(cluster, task, placed)),
        )
        machine.node.add_dependency(self._role)
        acknowledge(
            machine,
            "It has one step, whose task writes a log of its own; the execution says how it ended.",
            "AwsSolutions-SF1",
            "AwsSolutions-SF2",
        )
        self.arn = machine.ref

    def let_run(self, handed_on: Sequence[str]) -> None:
        """Let it start the run's task, with the roles that such a task has."""
        role, stack = self._role, self._stack
        here = {"ArnEquals": {"ecs:cluster": self._cluster}}
        grant(role, ["ecs:RunTask"], [self._task], conditions=here)
        grant(
            role,
            ["ecs:DescribeTasks", "ecs:StopTask"],
            [
                stack.format_arn(
                    service="ecs", resource="task", resource_name=f"{stack.named('dagster')}/*"
                )
            ],
            "The task that it started, whose number is not known before.",
            here,
        )
        grant(
            role,
            ["events:DescribeRule", "events:PutRule", "events:PutTargets"],
            [stack.format_arn(service="events", resource="rule", resource_name=_RULE)],
        )
        to = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        grant(role, ["iam:PassRole"], handed_on, conditions=to)


def definition(cluster: str, task: str, placed: Mapping[str, object]) -> Mapping[str, object]:
    """The state machine in Amazon's States Language."""
    return {
        "Comment": "Sends a smoke batch through what is deployed.",
        "StartAt": "Smoke",
        "TimeoutSeconds": _HOURS * 3600,
        "States": {
            "Smoke": {
                "Type": "Task",
                "Resource": "arn:aws:states:::ecs:runTask.sync",
                "Parameters": {
                    "Cluster": cluster,
                    "TaskDefinition": task,
                    "LaunchType": "FARGATE",
                    "NetworkConfiguration": {"AwsvpcConfiguration": placed},
                    "Overrides": {"ContainerOverrides": [{"Name": "run", "Command": [*COMMAND]}]},
                },
                "Next": "Ended",
            },
            "Ended": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Variable": "$.Containers[0].ExitCode",
                        "NumericEquals": 0,
                        "Next": "Came through",
                    }
                ],
                "Default": "Did not come through",
            },
            "Came through": {"Type": "Succeed"},
            "Did not come through": {"Type": "Fail", "Cause": "It ended with another code than 0."},
        },
    }
