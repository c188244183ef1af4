environment     = "dev"
region          = "ap-south-1"
template_bucket = "lakehouse-dev-terraform"
# certificate_arn and repository are your account's: here, or as TF_VAR_certificate_arn, TF_VAR_repository.
