output "policy" {
  description = "What the owner's release policy must say, as options of `lpe keys policy`."
  value = join(" ", [
    "--service confidential-space",
    "--audience ${var.owner_url}",
    "--image-digest ${local.image_digest}",
    "--hardware GCP_INTEL_TDX",
    "--support STABLE",
    "--confidential-gpu",
  ])
}

output "machine" {
  description = "How to see whether it still runs; it says no more."
  value       = "gcloud compute instances describe ${google_compute_instance.lpe.name} --project ${var.operator_project} --zone ${var.zone} --format 'value(status)'"
}

output "model" {
  description = "The sealed model, once the machine has stopped."
  value       = var.output
}
