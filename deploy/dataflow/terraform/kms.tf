resource "google_kms_key_ring" "lpe" {
  project  = var.project
  name     = "lpe"
  location = var.region

  depends_on = [google_project_service.owner]
}

resource "google_kms_crypto_key" "lpe" {
  for_each = local.keys

  name     = each.key
  key_ring = google_kms_key_ring.lpe.id
  purpose  = "ENCRYPT_DECRYPT"
  # Old versions go on opening what they wrapped.
  rotation_period = "7776000s" # 90 days

  lifecycle {
    # Without the key, what it encrypts is lost.
    prevent_destroy = true
  }
}
