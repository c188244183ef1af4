# Stacks of which none needs another, each from its template.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "stacks" {
  description = "By the stack's name: where it is, its template's address, parameters and tags, and the role that makes it."
  type = map(object({
    region     = string
    url        = string
    parameters = map(string)
    tags       = map(string)
    role       = string
  }))
}

resource "aws_cloudformation_stack" "stack" {
  for_each = var.stacks

  name         = each.key
  region       = each.value.region
  template_url = each.value.url
  parameters   = each.value.parameters
  tags         = each.value.tags
  iam_role_arn = each.value.role
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
  on_failure   = "ROLLBACK"
}
