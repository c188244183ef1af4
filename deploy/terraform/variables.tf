variable "environment" {
  description = "Which environment's templates: a folder of build/templates."
  type        = string
}

variable "region" {
  description = "Where the environment is; a stack of another region says so in its template."
  type        = string
}

variable "template_bucket" {
  description = "A bucket of this region that templates are put into, such as the state's."
  type        = string
}

variable "release" {
  description = "The release: the commit, which is the image's tag and the folder of what Glue jobs run."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate of the UI's name, from ACM in the environment's region."
  type        = string
  default     = null
}

variable "repository" {
  description = "Repository on GitHub whose workflows may deploy, as its tokens name it (docs/deployment.md)."
  type        = string
  default     = null
}

variable "parameters" {
  description = "Values of parameters that templates of your own ask for."
  type        = map(string)
  default     = {}
}
