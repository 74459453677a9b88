variable "project" {
  description = "The Google Cloud project that owns plain images and keys."
  type        = string
}

variable "project_number" {
  description = "Its number, by which Google's own service agents are named: gcloud projects describe PROJECT."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "A project's number has digits alone; its id goes into the variable project."
  }
}

variable "trainer_project" {
  description = "The project in which models are trained; another one than the owner's."
  type        = string

  validation {
    condition     = var.trainer_project != var.project
    error_message = "The trainer's project must be another one: whoever owns a project can give themselves its keys."
  }
}

variable "region" {
  description = "Where buckets, keys and jobs are, e.g. europe-west4."
  type        = string
}

variable "ip_range" {
  description = "Private addresses for Dataflow's machines, one each."
  type        = string
  default     = "10.128.0.0/24"
}
