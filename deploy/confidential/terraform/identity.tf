# Hands the lists of locals.tf to Google. Each grant is a member's own: what others gave stays.
resource "google_service_account" "machine" {
  project      = var.operator_project
  account_id   = local.account_id
  display_name = "lpe: the confidential machine"

  depends_on = [google_project_service.operator]
}

resource "google_iam_workload_identity_pool" "programs" {
  project                   = var.project
  workload_identity_pool_id = local.pool
  display_name              = "lpe: attested programs"

  depends_on = [google_project_service.owner]
}

resource "google_iam_workload_identity_pool_provider" "confidential_space" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.programs.workload_identity_pool_id
  workload_identity_pool_provider_id = local.provider
  attribute_condition                = join(" && ", local.conditions)

  # The token's own subject is too long for one here.
  attribute_mapping = {
    "google.subject"         = "\"lpe::\" + assertion.submods.gce.project_number + \"::\" + assertion.submods.gce.instance_id"
    "attribute.image_digest" = "assertion.submods.container.image_digest"
  }

  oidc {
    issuer_uri        = "https://confidentialcomputing.googleapis.com"
    allowed_audiences = ["https://sts.googleapis.com"]
  }
}

resource "google_project_iam_member" "lpe" {
  for_each = local.project_grants

  project = var.operator_project
  role    = each.value.role
  member  = each.value.member

  depends_on = [google_service_account.machine]
}

resource "google_artifact_registry_repository_iam_member" "lpe" {
  for_each = local.repository_grants

  project    = local.repository.project
  location   = local.repository.location
  repository = local.repository.name
  role       = each.value.role
  member     = each.value.member

  depends_on = [google_service_account.machine]
}

resource "google_storage_bucket_iam_member" "lpe" {
  for_each = local.bucket_grants

  bucket = local.buckets[each.key]
  role   = each.value.role
  member = each.value.member

  condition {
    title      = each.key
    expression = local.bucket_conditions[each.key]
  }

  depends_on = [google_iam_workload_identity_pool.programs]
}
