# A Confidential Space machine with an H100 that trains on a sealed dataset: the approved image, and no way to anything
# but the dataset, the model and the owner's service.
#
#   terraform init
#   terraform apply -var-file=release.tfvars     # variables.tf says what it must give
#
# locals.tf is the whole list of who may do what and what may be reached. Who applies it needs to own both projects.
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
  project = var.operator_project
  zone    = var.zone
}

resource "google_project_service" "owner" {
  for_each = toset(["iam.googleapis.com", "iamcredentials.googleapis.com", "storage.googleapis.com", "sts.googleapis.com"])

  project = var.project
  service = each.key
  # Others may use the project too.
  disable_on_destroy = false
}

resource "google_project_service" "operator" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "compute.googleapis.com",
    "confidentialcomputing.googleapis.com",
    "dns.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
  ])

  project            = var.operator_project
  service            = each.key
  disable_on_destroy = false
}

resource "google_compute_instance" "lpe" {
  project      = var.operator_project
  name         = "lpe-confidential"
  zone         = var.zone
  machine_type = "a3-highgpu-1g" # one H100, which comes with the type
  metadata     = local.metadata

  confidential_instance_config {
    enable_confidential_compute = true
    confidential_instance_type  = "TDX"
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  boot_disk {
    initialize_params {
      # The production image; programs in the debugging one, confidential-space-debug, are released no key.
      image = "projects/confidential-space-images/global/images/family/confidential-space"
      size  = 50
    }
  }

  # Neither TDX nor a GPU can be moved to another machine.
  scheduling {
    on_host_maintenance         = "TERMINATE"
    automatic_restart           = false
    preemptible                 = var.spot
    provisioning_model          = var.spot ? "SPOT" : "STANDARD"
    instance_termination_action = var.spot ? "STOP" : null
  }

  network_interface {
    subnetwork = google_compute_subnetwork.lpe.id
    # No access_config: no public address.
  }

  service_account {
    email = google_service_account.machine.email
    # The account's grants are what limits it.
    scopes = ["cloud-platform"]
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.lpe,
    google_compute_firewall.nothing_else,
    google_compute_firewall.out,
    google_compute_route.out,
    google_dns_record_set.google,
    google_iam_workload_identity_pool_provider.confidential_space,
    google_project_iam_member.lpe,
    google_storage_bucket_iam_member.lpe,
  ]
}
