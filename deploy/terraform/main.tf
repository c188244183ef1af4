# For those who deploy by Terraform: the very templates that CDK writes (`make templates`), each as
# one CloudFormation stack. Nothing of a resource is written here a second time.
#
#   make templates glue-wheels
#   cd deploy/terraform
#   export TF_CLI_ARGS_apply="-var-file=environments/dev.tfvars" TF_VAR_release=$(git rev-parse HEAD)
#   terraform init -backend-config=environments/dev.s3.tfbackend
#   terraform apply -target='module.rank3.aws_cloudformation_stack.stack["lakehouse-dev-registry"]'
#   docker build, tag and push $TF_VAR_release to the repository lakehouse-dev-dagster
#   terraform apply
#
# The first `apply` makes what the image is pushed into; the second fails, and says so, where the
# image is not there, and puts what Glue jobs run in its place before any job is made.

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

data "aws_caller_identity" "here" {}

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
      needs = concat(
        [for other in try(artifact.dependencies, []) : other if contains(keys(local.artifacts), other)],
        # Whose role makes all others.
        name == local.access ? [] : [local.access],
      )
      asked = [
        for parameter, about in try(jsondecode(file("${local.templates}/${artifact.properties.templateFile}")).Parameters, {}) :
        parameter if !can(about.Default)
      ]
      # As with releases: CloudFormation works by the role that the stack `access` makes for it.
      role = name == local.access ? null : local.execution
    }
  }
  access    = "lakehouse-${var.environment}-access"
  execution = "arn:aws:iam::${data.aws_caller_identity.here.account_id}:role/lakehouse-${var.environment}-cloudformation"

  # What the templates ask for; each that lacks here is named before anything is made.
  values = {
    for parameter, value in merge({
      Release        = var.release
      CertificateArn = var.certificate_arn
      Repository     = var.repository
    }, var.parameters) : parameter => value if value != null
  }
  lacking = setsubtract(flatten([for stack in local.stacks : stack.asked]), keys(local.values))

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
  rank6 = [for name, stack in local.stacks : name if !contains(local.upto5, name) && length(setsubtract(stack.needs, local.upto5)) == 0]
  upto6 = concat(local.upto5, local.rank6)
}

# A template may be larger than what CloudFormation takes along with a request.
resource "aws_s3_object" "template" {
  for_each = local.stacks

  bucket = var.template_bucket
  key    = "templates/${var.environment}/${filemd5(each.value.file)}/${basename(each.value.file)}"
  source = each.value.file

  lifecycle {
    precondition {
      condition     = length(local.upto6) == length(local.stacks)
      error_message = "A stack stands after more than 6 others: add a rank."
    }
    precondition {
      condition     = length(local.lacking) == 0
      error_message = "No value for ${join(", ", local.lacking)}: say them in the environment's tfvars, or by -var."
    }
    precondition {
      condition     = alltrue([for name in local.upto3 : !contains(local.stacks[name].asked, "Release")])
      error_message = "A stack that runs a release stands before rank 4, where image and wheels are awaited."
    }
  }
}

locals {
  ready = {
    for name, stack in local.stacks : name => {
      region     = stack.region
      url        = "https://${var.template_bucket}.s3.${var.region}.amazonaws.com/${aws_s3_object.template[name].key}"
      parameters = { for parameter in stack.asked : parameter => local.values[parameter] }
      tags       = stack.tags
      role       = stack.role
    }
  }
}

# What Glue jobs run, before a job is made of it.
resource "aws_s3_object" "glue" {
  for_each = {
    "job.py"                   = "${path.module}/../glue/job.py"
    "lakehouse.gluewheels.zip" = "${path.module}/../../build/glue/lakehouse.gluewheels.zip"
  }

  bucket = "lakehouse-${var.environment}-deployment-${data.aws_caller_identity.here.account_id}"
  key    = "etl_scripts/${var.release}/${each.key}"
  source = each.value

  depends_on = [module.rank2]
}

# The release's image, before a service is made of it: a service without one never gets steady.
data "aws_ecr_image" "release" {
  repository_name = "lakehouse-${var.environment}-dagster"
  image_tag       = var.release

  depends_on = [module.rank3]
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

  depends_on = [module.rank3, aws_s3_object.glue, data.aws_ecr_image.release]
}

module "rank5" {
  source = "./stacks"
  stacks = { for name in local.rank5 : name => local.ready[name] }

  depends_on = [module.rank4]
}

module "rank6" {
  source = "./stacks"
  stacks = { for name in local.rank6 : name => local.ready[name] }

  depends_on = [module.rank5]
}
