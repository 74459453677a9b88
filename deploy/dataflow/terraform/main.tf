# What `lpe` on Dataflow needs, in two projects: the owner's, with plain images, keys and jobs, and the trainer's, whose
# account reads encrypted shards and nothing else.
#
#   terraform init
#   terraform apply -var-file=owner.tfvars     # variables.tf says what it must give
#
# grants.tf is the whole list of who may do what; iam.tf hands it to Google.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "owner" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "dataflow.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",
  ])

  project = var.project
  service = each.key
  # Others may use the project too.
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = local.repository
  description   = "The image of lpe's Flex Templates"
  format        = "DOCKER"

  depends_on = [google_project_service.owner]
}
