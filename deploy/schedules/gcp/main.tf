# Scheduled re-encryption on Google Cloud: Cloud Scheduler starts `lpe reencrypt` on Dataflow, one job a dataset.
# The Flex Template that it starts is built by deploy/dataflow/.
#
#   terraform init
#   terraform apply -var-file=owner.tfvars     # variables.tf says what it must give
terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_cloud_scheduler_job" "reencrypt" {
  for_each = local.launch

  name        = each.value.launchParameter.jobName
  description = "Re-encrypt ${each.key} if its key has come of age"
  # A run with nothing due takes a moment, and one that fails is made up for within the day.
  schedule         = "17 */6 * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
    max_backoff_duration = "3600s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://dataflow.googleapis.com/v1b3/projects/${var.project}/locations/${var.region}/flexTemplates:launch"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode(each.value))

    oauth_token {
      service_account_email = var.scheduler_service_account
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}
