environment     = "prod"
region          = "ap-south-1"
template_bucket = "lakehouse-prod-terraform"
