"""Where the image lies, before anything runs it."""

from __future__ import annotations

from aws_cdk import aws_ecr as ecr
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import KEPT, Part

_KEPT_IMAGES = 50
"""Enough to go back a long way."""


class Registry(Part):
    """The image's repository.

    Attributes:
        images: the repository; a tag is a release, and never moves.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "registry", "Repository of Dagster's image.")
        self.images = ecr.Repository(
            self,
            "Images",
            repository_name=names.of(environment, "dagster"),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=foundation.data_key,
            removal_policy=KEPT,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_KEPT_IMAGES)],
        )
