"""The UI under a name, for whose network leads into the VPC; nothing of it is public."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb

from deploy.cdk.config import Balancer
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import HTTPS, Network
from deploy.cdk.parts import WEB
from deploy.cdk.stack import Part


def balance(
    stack: Part,
    asked: Balancer,
    network: Network,
    foundation: Foundation,
    tasks: ec2.SecurityGroup,
    webserver: ecs.FargateService,
) -> None:
    """An internal load balancer with TLS before the webserver's tasks, which ``tasks`` lets in."""
    certificate = cdk.CfnParameter(
        stack,
        "CertificateArn",
        type="String",
        description=f"Certificate of {asked.host}, from ACM in this region.",
    )
    group = stack.security_group("Group-ui", "ui", network.vpc, "Load balancer of the UI")
    for people in asked.people_from:
        group.add_ingress_rule(ec2.Peer.ipv4(people), ec2.Port.tcp(HTTPS), "People")
    tasks.add_ingress_rule(group, ec2.Port.tcp(WEB), "The UI")
    group.add_egress_rule(tasks, ec2.Port.tcp(WEB), "The UI")
    balancer = elb.ApplicationLoadBalancer(
        stack,
        "Balancer",
        load_balancer_name=stack.named("ui"),
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        internet_facing=False,
        security_group=group,
        drop_invalid_header_fields=True,
        # Not protected from deletion: it keeps nothing, and would stand in the way of taking back
        # a deployment that fails.
        deletion_protection=False,
    )
    attributes = {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": foundation.access_logs.bucket_name,
        "access_logs.s3.prefix": "load-balancer",
    }
    for key, value in attributes.items():
        balancer.set_attribute(key, value)
    listener = balancer.add_listener(
        "Https",
        port=HTTPS,
        protocol=elb.ApplicationProtocol.HTTPS,
        ssl_policy=elb.SslPolicy.TLS13_RES,
        open=False,
        certificates=[
            acm.Certificate.from_certificate_arn(stack, "Certificate", certificate.value_as_string)
        ],
    )
    listener.add_targets(
        "Webserver",
        port=WEB,
        protocol=elb.ApplicationProtocol.HTTP,
        targets=[webserver],
        deregistration_delay=cdk.Duration.seconds(30),
        health_check=elb.HealthCheck(path="/server_info", healthy_threshold_count=2),
    )
