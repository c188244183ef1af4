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

variable "parameters" {
  description = "Values of the templates' parameters, such as Release: the commit."
  type        = map(string)
  default     = {}
}
