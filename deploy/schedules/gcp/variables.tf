variable "project" {
  description = "The Google Cloud project that owns data and keys."
  type        = string
}

variable "region" {
  description = "Where the schedule and the Dataflow job run."
  type        = string
}

variable "datasets" {
  description = "Homes of datasets, gs://BUCKET/ROOT/NAME: one job each."
  type        = set(string)
}

variable "keystore" {
  description = "The key store, gs://BUCKET/PATH; its keysets are wrapped by a key of Cloud KMS."
  type        = string
}

variable "template" {
  description = "The Flex Template that deploy/dataflow/ builds, gs://BUCKET/….json."
  type        = string
}

variable "temp_location" {
  description = "Where Dataflow stages its files, gs://BUCKET/PATH."
  type        = string
}

variable "worker_service_account" {
  description = "E-mail of the account that the job runs as: data, key store and the KMS key, nothing more."
  type        = string
}

variable "scheduler_service_account" {
  description = "E-mail of the account that starts it: roles/dataflow.developer, and may act as the other one."
  type        = string
}
