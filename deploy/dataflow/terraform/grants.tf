# Who may do what: all of it, and nothing that Google's provider is needed to evaluate. The tests read this list.
locals {
  repository = "lpe"

  # A name of a bucket is the world's, so it has the project's in it.
  buckets = { for name in ["plain", "encrypted", "keys", "jobs"] : name => "${var.project}-lpe-${name}" }

  # A key of Cloud KMS for each bucket, so that one can be made unreadable without the others; one for the disks and
  # state of jobs; one that wraps keysets (lpe keys create --kek).
  keys = toset(concat([for name in keys(local.buckets) : "bucket-${name}"], ["dataflow", "keysets"]))

  # Dataflow runs launcher and workers as one account.
  accounts = {
    worker    = { project = var.project, account_id = "lpe-worker", display_name = "lpe: launcher and workers" }
    scheduler = { project = var.project, account_id = "lpe-scheduler", display_name = "lpe: starts re-encryption" }
    trainer   = { project = var.trainer_project, account_id = "lpe-trainer", display_name = "lpe: trains on encrypted shards" }
  }
  emails = { for name, account in local.accounts : name => "${account.account_id}@${account.project}.iam.gserviceaccount.com" }
  member = { for name, email in local.emails : name => "serviceAccount:${email}" }

  # Google's own accounts in the owner's project.
  agents = {
    storage  = "serviceAccount:service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
    dataflow = "serviceAccount:service-${var.project_number}@dataflow-service-producer-prod.iam.gserviceaccount.com"
    compute  = "serviceAccount:service-${var.project_number}@compute-system.iam.gserviceaccount.com"
  }

  # In the predefined roles/dataflow.worker there is storage.objects.get for every bucket of the project, and in
  # roles/dataflow.developer the right to start any build: these two have what a batch job and its start take.
  roles = {
    lpeWorker = {
      title = "lpe: Dataflow worker without storage"
      permissions = [
        "autoscaling.sites.readRecommendations",
        "autoscaling.sites.writeMetrics",
        "autoscaling.sites.writeState",
        "compute.instanceGroupManagers.update",
        "compute.instances.delete",
        "compute.instances.setDiskAutoDelete",
        "dataflow.jobs.get",
        "dataflow.shuffle.read",
        "dataflow.shuffle.write",
        "dataflow.workItems.lease",
        "dataflow.workItems.sendMessage",
        "dataflow.workItems.update",
        "logging.logEntries.create",
        "logging.logEntries.route",
        "monitoring.timeSeries.create",
        "storage.buckets.get",
      ]
    }
    lpeLauncher = {
      title       = "lpe: starts Flex Templates"
      permissions = ["dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"]
    }
  }

  project_grants = {
    worker    = { role = "lpeWorker", member = local.member.worker }
    scheduler = { role = "lpeLauncher", member = local.member.scheduler }
  }

  bucket_grants = {
    # The trainer's one right. Objects are opened by Google's storage agent, so reading takes no right to a key.
    trainer-encrypted = { bucket = "encrypted", role = "roles/storage.objectViewer", member = local.member.trainer, under = "" }

    worker-plain     = { bucket = "plain", role = "roles/storage.objectViewer", member = local.member.worker, under = "" }
    worker-encrypted = { bucket = "encrypted", role = "roles/storage.objectUser", member = local.member.worker, under = "" }
    # It writes there too: rotated keysets, the record of what needs which key, the audit trail, images' names.
    worker-keys = { bucket = "keys", role = "roles/storage.objectUser", member = local.member.worker, under = "" }
    worker-jobs = { bucket = "jobs", role = "roles/storage.objectUser", member = local.member.worker, under = "" }

    scheduler-templates = { bucket = "jobs", role = "roles/storage.objectViewer", member = local.member.scheduler, under = "templates/" }
  }

  key_grants = merge(
    { for name in keys(local.buckets) : "storage-${name}" => { key = "bucket-${name}", member = local.agents.storage } },
    {
      worker-keysets    = { key = "keysets", member = local.member.worker }
      dataflow-dataflow = { key = "dataflow", member = local.agents.dataflow }
      compute-dataflow  = { key = "dataflow", member = local.agents.compute }
    },
  )

  account_grants = {
    scheduler-worker = { account = "worker", role = "roles/iam.serviceAccountUser", member = local.member.scheduler }
  }

  repository_grants = {
    worker-images = { role = "roles/artifactregistry.reader", member = local.member.worker }
  }
}
