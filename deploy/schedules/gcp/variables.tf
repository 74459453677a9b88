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
  description = "E-mail of the account that the job runs as: data, key store and the KMS key, nothing more (deploy/dataflow/terraform makes it)."
  type        = string
}

variable "scheduler_service_account" {
  description = "E-mail of the account that starts it: may create Dataflow jobs, read the template and act as the other one (made there too)."
  type        = string
}

variable "subnetwork" {
  description = "regions/REGION/subnetworks/NAME, with Private Google Access; the default network's if empty."
  type        = string
  default     = ""
}

variable "kms_key" {
  description = "projects/…/cryptoKeys/NAME, which encrypts the workers' disks and the job's state; Google's own key if empty."
  type        = string
  default     = ""
}
