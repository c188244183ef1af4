"""What `test_story.py` finds and lets pass, each with its reason: ``*`` stands for anything."""

from __future__ import annotations

from typing import Final

_AWS: Final = "https://docs.aws.amazon.com"
HARMLESS: Final = {
    "*-dagster-*: s3:ListBucket on *-deployment-*": (
        "of a log that is not there yet it is told 403 in 404's place; Dagster takes both alike"
    ),
}
"""Refusals that harm nothing: a line of `Held.refused`, and why it may be so."""

KEPT: Final = {
    # ------------------------------------------ roles that nothing here can take on: AWS does
    "*-crawler: *": f"Glue's crawler: {_AWS}/glue/latest/dg/crawler-prereqs.html",
    "*-replication: *": (
        f"S3's replication: {_AWS}/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html"
    ),
    "*-lakeformation: *": (
        f"Lake Formation reads with it: {_AWS}/lake-formation/latest/dg/registration-role.html"
    ),
    "*-dagster-execution: *": (
        "ECS starts tasks with it: "
        f"{_AWS}/AmazonECS/latest/developerguide/task_execution_IAM_role.html"
    ),
    "*VpcFlowLog*: *": f"the VPC's flow logs: {_AWS}/vpc/latest/userguide/flow-logs-iam-role.html",
    "*-trail: *": (
        "CloudTrail: "
        f"{_AWS}/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html"
    ),
    "*-smoke: *": (f"Step Functions runs a task: {_AWS}/step-functions/latest/dg/connect-ecs.html"),
    "*-standby*: *": (
        f"Step Functions runs jobs: {_AWS}/step-functions/latest/dg/connect-glue.html"
    ),
    # -------------------------------------------------- roles that other tests or people take on
    "*-cloudformation: *": "held against the types' handlers by test_execution_role.py",
    "*-deploy: *": (
        "held against a release by test_platform_on_ministack.py; Docker's push is in no test: "
        f"{_AWS}/AmazonECR/latest/userguide/image-push-iam.html"
    ),
    "*-drift: *": (
        f"{_AWS}/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html, at night"
    ),
    "*-analysts: *": (
        f"people at Athena's console: {_AWS}/athena/latest/ug/security-iam-athena.html"
    ),
    "*-operator: *": "a person's, by the commands of docs/operation.md",
    "*-recovery: *": "a person's on the worst day: docs/recovery.md; make test-recovery rehearses",
    "*: ssmmessages:*": (
        f"a person's way in: {_AWS}/AmazonECS/latest/developerguide/ecs-exec.html"
    ),
    # ------------------------------------------------------- what goes wrong, or is seldom done
    "*: s3:AbortMultipartUpload on *": (
        "an upload in parts that breaks off, or its parts are paid for: "
        f"{_AWS}/AmazonS3/latest/userguide/mpuoverview.html"
    ),
    "*-dagster-code: s3:* on */dagster/logs/*": (
        "what a sensor itself logs, Dagster keeps there: "
        "https://docs.dagster.io/guides/automate/sensors/logging-in-sensors"
    ),
    "*-dagster-d*: s3:* on */dagster/logs/*": "a schedule's and a run monitor's logs, likewise",
    "*-dagster-d*: kms:* on *": "the key behind these logs",
    "*-dagster-d*: ecs:StopTask on *": "a run that does not start in time is ended",
    "*-dagster-webserver: ecs:* on *": "a person ends a run: dagster-aws's launcher stops its task",
    "*-dagster-d*: logs:GetLogEvents on *": "the last lines of a run's task that died",
    "*-dagster-run: glue:BatchStopJobRun on *": "a dead run's job: tests/aws/test_glue_pipes.py",
    "*-dagster-run: glue:Delete* on *": "what has left the contracts: tests/aws/test_catalog.py",
    "*-dagster-run: glue:Update* on *": "what has changed in the contracts: test_catalog.py, too",
    "*-dagster-run: glue:Get* on *": (
        "Athena looks tables up as who asks: "
        f"{_AWS}/athena/latest/ug/fine-grained-access-to-glue-resources.html"
    ),
    "*-dagster-run: s3:DeleteObject on */*": "maintenance and restore, of what nobody needs now",
    "*-dagster-run: athena:*Query* on *": "a smoke batch asks, waits and gives up: deploy/smoke.py",
    # ----------------------------------------------------- what Glue does as a job, beside its work
    "*-job-*: ec2:*": (
        f"Glue places workers in subnets: {_AWS}/glue/latest/dg/start-connecting.html"
    ),
    "*-job-*: glue:GetConnection *": (
        f"Glue looks up where: {_AWS}/glue/latest/dg/start-connecting.html"
    ),
    "*-job-*: cloudwatch:PutMetricData *": (
        f"Glue's own metrics: {_AWS}/glue/latest/dg/monitoring-awsglue-with-cloudwatch-metrics.html"
    ),
    "*-job-*: s3:GetBucketLocation on *": (
        f"in AWS's own policy for jobs: {_AWS}/glue/latest/dg/create-service-policy.html"
    ),
    "*-job-*: logs:AssociateKmsKey *": (
        f"Glue encrypts its logs: {_AWS}/glue/latest/dg/set-up-encryption.html"
    ),
}
"""Grants that nothing in the story used: ``<role>: <action>``, and why they are kept."""
