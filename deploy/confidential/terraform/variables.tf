variable "project" {
  description = "The owner's project: the sealed dataset, the model, and the pool that says who may come to them."
  type        = string
}

variable "project_number" {
  description = "Its number, by which members of the pool are named: gcloud projects describe PROJECT."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "A project's number has digits alone; its id goes into the variable project."
  }
}

variable "operator_project" {
  description = "The project in which the machine runs; another one than the owner's."
  type        = string

  validation {
    condition     = var.operator_project != var.project
    error_message = "The operator's project must be another one: whoever owns a project can give themselves its buckets."
  }
}

variable "zone" {
  description = "Where the machine runs; a3-highgpu-1g with TDX is in few zones, e.g. europe-west4-c."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "A zone has a letter after its region, e.g. europe-west4-c."
  }
}

variable "image" {
  description = "The approved image, by digest: REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME@sha256:…"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+-docker\\.pkg\\.dev/[a-z0-9-]+/[a-z0-9-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be in Artifact Registry and named by its digest (…@sha256:…): a tag can be moved."
  }
}

variable "dataset" {
  description = "The sealed dataset: gs://BUCKET/FOLDER"
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9._-]+/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$", var.dataset))
    error_message = "The dataset must be a folder in a bucket, gs://BUCKET/FOLDER, without a slash at its end."
  }
}

variable "output" {
  description = "The file that the sealed model becomes: gs://BUCKET/…/model.sealed"
  type        = string

  validation {
    condition     = can(regex("^gs://[a-z0-9._-]+/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$", var.output))
    error_message = "The output must be a file in a bucket, gs://BUCKET/…/model.sealed."
  }

  validation {
    condition     = split("/", var.output)[2] != split("/", var.dataset)[2]
    error_message = "The output must be in another bucket than the dataset, so that a right to write is not one to add to it."
  }
}

variable "owner_url" {
  description = "The owner's `lpe keys serve`: https://HOST:PORT"
  type        = string

  validation {
    condition     = can(regex("^https://[A-Za-z0-9.-]+:[0-9]{1,5}$", var.owner_url))
    error_message = "The owner's service must be https://HOST:PORT."
  }
}

variable "owner_address" {
  description = "The one address that HOST stands for, as ADDRESS/32."
  type        = string

  validation {
    condition     = can(cidrhost(var.owner_address, 0)) && can(regex("^[0-9.]+/32$", var.owner_address))
    error_message = "The owner's address must be one address of IPv4, written ADDRESS/32: all else stays shut."
  }
}

variable "owner_is_public" {
  description = "Whether that address is on the internet: then a NAT leads there. If not, the network needs your VPN or peering."
  type        = bool
  default     = true
}

variable "owner_certificates" {
  description = "The certificates that the owner's service is known by, as PEM text: file(\"owner.pem\")"
  type        = string

  validation {
    condition     = can(regex("^-----BEGIN CERTIFICATE-----", var.owner_certificates))
    error_message = "The owner's certificates must be PEM text that begins with -----BEGIN CERTIFICATE-----."
  }
}

variable "model" {
  description = "The network."
  type        = string
  default     = "cnn"
}

variable "epochs" {
  description = "How often it sees the images."
  type        = number
  default     = 10
}

variable "memory_gib" {
  description = "How much of the machine's 234 GiB is the tmpfs with cached shards and the run."
  type        = number
  default     = 100

  validation {
    condition     = var.memory_gib >= 1 && var.memory_gib <= 180
    error_message = "The tmpfs must be 1 to 180 GiB: the program needs memory too."
  }
}

variable "spot" {
  description = "Whether the machine may be taken away at any time, for a lower price. A run that was cut off starts anew."
  type        = bool
  default     = true
}

variable "ip_range" {
  description = "Private addresses of the machine's subnetwork."
  type        = string
  default     = "10.129.0.0/28"

  validation {
    condition     = can(cidrhost(var.ip_range, 0))
    error_message = "The subnetwork's range must be a CIDR block, e.g. 10.129.0.0/28."
  }
}
