# Hands grants.tf to Google. Nothing is granted anywhere else, and each grant is a member's own: what others gave stays.
resource "google_service_account" "lpe" {
  for_each = local.accounts

  project      = each.value.project
  account_id   = each.value.account_id
  display_name = each.value.display_name
}

resource "google_project_iam_custom_role" "lpe" {
  for_each = local.roles

  project     = var.project
  role_id     = each.key
  title       = each.value.title
  permissions = each.value.permissions
}

resource "google_project_iam_member" "lpe" {
  for_each = local.project_grants

  project = var.project
  role    = google_project_iam_custom_role.lpe[each.value.role].name
  member  = each.value.member

  depends_on = [google_service_account.lpe]
}

resource "google_storage_bucket_iam_member" "lpe" {
  for_each = local.bucket_grants

  bucket = google_storage_bucket.lpe[each.value.bucket].name
  role   = each.value.role
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.under == "" ? [] : [each.value.under]

    content {
      title      = "under ${condition.value}"
      expression = "resource.name.startsWith(\"projects/_/buckets/${local.buckets[each.value.bucket]}/objects/${condition.value}\")"
    }
  }

  depends_on = [google_service_account.lpe]
}

resource "google_kms_crypto_key_iam_member" "lpe" {
  for_each = local.key_grants

  crypto_key_id = google_kms_crypto_key.lpe[each.value.key].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value.member

  depends_on = [google_service_account.lpe, data.google_storage_project_service_account.owner]
}

resource "google_service_account_iam_member" "lpe" {
  for_each = local.account_grants

  service_account_id = google_service_account.lpe[each.value.account].name
  role               = each.value.role
  member             = each.value.member

  depends_on = [google_service_account.lpe]
}

resource "google_artifact_registry_repository_iam_member" "lpe" {
  for_each = local.repository_grants

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = each.value.role
  member     = each.value.member

  depends_on = [google_service_account.lpe]
}
