environment     = "staging"
region          = "ap-south-1"
template_bucket = "lakehouse-staging-terraform"
