# The body of Dataflow's projects.locations.flexTemplates.launch for each dataset. A file without resources, so
# that it can be evaluated where Google's provider can't be had.
locals {
  launch = {
    for dataset in var.datasets : dataset => {
      launchParameter = {
        # Dataflow refuses a second job of the same name while one is running.
        jobName              = "lpe-reencrypt-${substr(sha256(dataset), 0, 8)}"
        containerSpecGcsPath = var.template
        # The long options of `lpe reencrypt`, with underscores; the template (deploy/dataflow/) turns them back.
        parameters = {
          dataset      = dataset
          keystore     = var.keystore
          if_due       = "true"
          retire_after = "7d"
          destroy_keys = "true"
        }
        environment = merge(
          {
            serviceAccountEmail = var.worker_service_account
            tempLocation        = var.temp_location
            # Workers without public addresses: their subnetwork needs Private Google Access.
            ipConfiguration = "WORKER_IP_PRIVATE"
          },
          var.subnetwork == "" ? {} : { subnetwork = var.subnetwork },
          var.kms_key == "" ? {} : { kmsKeyName = var.kms_key },
        )
      }
    }
  }
}
