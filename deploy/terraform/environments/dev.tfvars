environment     = "dev"
region          = "ap-south-1"
template_bucket = "lakehouse-dev-terraform"
