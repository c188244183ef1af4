environment     = "prod"
region          = "ap-south-1"
template_bucket = "lakehouse-prod-terraform"
# repository (and certificate_arn, with a load balancer) are yours: here, or as TF_VAR_repository.
