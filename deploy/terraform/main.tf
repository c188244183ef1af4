# For those who deploy by Terraform: the very templates that CDK writes (`make templates`), each as
# one CloudFormation stack. Nothing of a resource is written here a second time.
#
#   make templates
#   terraform -chdir=deploy/terraform init -backend-config=environments/dev.s3.tfbackend
#   terraform -chdir=deploy/terraform apply -var-file=environments/dev.tfvars

terraform {
  required_version = ">= 1.10.0" # the first whose S3 backend locks by a file
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0" # the first whose resources name their region
    }
  }
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
}

locals {
  templates = abspath("${path.module}/../../build/templates/${var.environment}")
  artifacts = {
    for name, artifact in jsondecode(file("${local.templates}/manifest.json")).artifacts :
    name => artifact if artifact.type == "aws:cloudformation:stack"
  }
  stacks = {
    for name, artifact in local.artifacts : name => {
      file   = "${local.templates}/${artifact.properties.templateFile}"
      region = reverse(split("/", artifact.environment))[0]
      tags   = try(artifact.properties.tags, {})
      needs  = [for other in try(artifact.dependencies, []) : other if contains(keys(local.artifacts), other)]
      # Of the release's values, those that this template asks for.
      parameters = {
        for parameter in keys(try(jsondecode(file("${local.templates}/${artifact.properties.templateFile}")).Parameters, {})) :
        parameter => var.parameters[parameter] if contains(keys(var.parameters), parameter)
      }
    }
  }

  # Instances of one module have no order, so that stacks which need others are in a later one.
  rank0 = [for name, stack in local.stacks : name if length(stack.needs) == 0]
  upto0 = local.rank0
  rank1 = [for name, stack in local.stacks : name if !contains(local.upto0, name) && length(setsubtract(stack.needs, local.upto0)) == 0]
  upto1 = concat(local.upto0, local.rank1)
  rank2 = [for name, stack in local.stacks : name if !contains(local.upto1, name) && length(setsubtract(stack.needs, local.upto1)) == 0]
  upto2 = concat(local.upto1, local.rank2)
  rank3 = [for name, stack in local.stacks : name if !contains(local.upto2, name) && length(setsubtract(stack.needs, local.upto2)) == 0]
  upto3 = concat(local.upto2, local.rank3)
  rank4 = [for name, stack in local.stacks : name if !contains(local.upto3, name) && length(setsubtract(stack.needs, local.upto3)) == 0]
  upto4 = concat(local.upto3, local.rank4)
  rank5 = [for name, stack in local.stacks : name if !contains(local.upto4, name) && length(setsubtract(stack.needs, local.upto4)) == 0]
  upto5 = concat(local.upto4, local.rank5)
}

# A template may be larger than what CloudFormation takes along with a request.
resource "aws_s3_object" "template" {
  for_each = local.stacks

  bucket = var.template_bucket
  key    = "templates/${var.environment}/${filemd5(each.value.file)}/${basename(each.value.file)}"
  source = each.value.file

  lifecycle {
    precondition {
      condition     = length(local.upto5) == length(local.stacks)
      error_message = "A stack stands after more than 5 others: add a rank."
    }
  }
}

locals {
  ready = {
    for name, stack in local.stacks : name => {
      region     = stack.region
      url        = "https://${var.template_bucket}.s3.${var.region}.amazonaws.com/${aws_s3_object.template[name].key}"
      parameters = stack.parameters
      tags       = stack.tags
    }
  }
}

module "rank0" {
  source = "./stacks"
  stacks = { for name in local.rank0 : name => local.ready[name] }
}

module "rank1" {
  source = "./stacks"
  stacks = { for name in local.rank1 : name => local.ready[name] }

  depends_on = [module.rank0]
}

module "rank2" {
  source = "./stacks"
  stacks = { for name in local.rank2 : name => local.ready[name] }

  depends_on = [module.rank1]
}

module "rank3" {
  source = "./stacks"
  stacks = { for name in local.rank3 : name => local.ready[name] }

  depends_on = [module.rank2]
}

module "rank4" {
  source = "./stacks"
  stacks = { for name in local.rank4 : name => local.ready[name] }

  depends_on = [module.rank3]
}

module "rank5" {
  source = "./stacks"
  stacks = { for name in local.rank5 : name => local.ready[name] }

  depends_on = [module.rank4]
}
