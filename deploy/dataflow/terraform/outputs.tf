output "launch" {
  description = "What deploy/dataflow/launch.sh takes from the environment, but for the template's tag."
  value = {
    PROJECT         = var.project
    REGION          = var.region
    JOBS            = "gs://${local.buckets.jobs}"
    SERVICE_ACCOUNT = local.emails.worker
    SUBNETWORK      = "regions/${var.region}/subnetworks/${google_compute_subnetwork.lpe.name}"
    KMS_KEY         = google_kms_crypto_key.lpe["dataflow"].id
  }
}

output "build" {
  description = "What deploy/dataflow/build.sh takes from the environment."
  value = {
    PROJECT    = var.project
    REGION     = var.region
    REPOSITORY = local.repository
    TEMPLATES  = "gs://${local.buckets.jobs}/templates"
  }
}

output "kek" {
  description = "The --kek of lpe keys create."
  value       = "gcp-kms://${google_kms_crypto_key.lpe["keysets"].id}"
}

output "schedule" {
  description = "Variables of deploy/schedules/gcp, but for the datasets, the key store's folder and the template."
  value = {
    project                   = var.project
    region                    = var.region
    temp_location             = "gs://${local.buckets.jobs}/temp"
    worker_service_account    = local.emails.worker
    scheduler_service_account = local.emails.scheduler
    subnetwork                = "regions/${var.region}/subnetworks/${google_compute_subnetwork.lpe.name}"
    kms_key                   = google_kms_crypto_key.lpe["dataflow"].id
  }
}

output "trainer" {
  description = "The account in the trainer's project, and the bucket that it may read."
  value       = { account = local.emails.trainer, bucket = "gs://${local.buckets.encrypted}" }
}
