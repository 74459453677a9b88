# Reading it makes Google create the agent that encrypts the buckets.
data "google_storage_project_service_account" "owner" {
  project = var.project

  depends_on = [google_project_service.owner]
}

resource "google_storage_bucket" "lpe" {
  for_each = local.buckets

  project                     = var.project
  name                        = each.value
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  encryption {
    default_kms_key_name = google_kms_crypto_key.lpe["bucket-${each.key}"].id
  }

  # What lpe deletes is to be gone: an expired version, the keyset as it was before a key was destroyed. So no old
  # generations, no soft delete, no retention. Backups of the plain images are the owner's, somewhere else.
  versioning {
    enabled = false
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Templates stay; what jobs staged is of no use once they are over.
  dynamic "lifecycle_rule" {
    for_each = each.key == "jobs" ? ["temp/", "staging/"] : []

    content {
      condition {
        age            = 14
        matches_prefix = [lifecycle_rule.value]
      }
      action {
        type = "Delete"
      }
    }
  }

  # The agent must be able to use the key before the first object is written.
  depends_on = [google_kms_crypto_key_iam_member.lpe]
}
