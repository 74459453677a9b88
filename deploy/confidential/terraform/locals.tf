# Who may do what and what may be reached: all of it, and nothing that Google's provider is needed to evaluate. The tests
# read these lists.
locals {
  region = regex("^(.*)-[a-z]$", var.zone)[0]

  image_digest = split("@", var.image)[1]
  # REGION-docker.pkg.dev/PROJECT/REPOSITORY/…
  repository = {
    location = regex("^(.*)-docker\\.pkg\\.dev$", split("/", var.image)[0])[0]
    project  = split("/", var.image)[1]
    name     = split("/", var.image)[2]
  }

  account_id = "lpe-confidential"
  account    = "${local.account_id}@${var.operator_project}.iam.gserviceaccount.com"
  pool       = "lpe-confidential"
  provider   = "confidential-space"
  pool_name  = "projects/${var.project_number}/locations/global/workloadIdentityPools/${local.pool}"

  # What Google's attestation service must say of the program for it to be let in. Whether the GPU is in its
  # confidential mode is the release policy's to ask, see lpe keys policy --confidential-gpu.
  conditions = [
    "assertion.swname == 'CONFIDENTIAL_SPACE'",
    # A production image: nobody can log in, and nothing is written to logs.
    "assertion.dbgstat == 'disabled-since-boot'",
    "'STABLE' in assertion.submods.confidential_space.support_attributes",
    "assertion.hwmodel == 'GCP_INTEL_TDX'",
    "assertion.submods.container.image_digest == '${local.image_digest}'",
    "'${local.account}' in assertion.google_service_accounts",
  ]

  # The machine's account, which its operator can act as, starts the program and no more. It is the program that comes
  # to the buckets, by its attestation.
  members = {
    machine = "serviceAccount:${local.account}"
    program = "principalSet://iam.googleapis.com/${local.pool_name}/attribute.image_digest/${local.image_digest}"
  }

  project_grants = {
    attest = { role = "roles/confidentialcomputing.workloadUser", member = local.members.machine }
    log    = { role = "roles/logging.logWriter", member = local.members.machine }
  }
  repository_grants = {
    image = { role = "roles/artifactregistry.reader", member = local.members.machine }
  }
  bucket_grants = {
    dataset = { role = "roles/storage.objectViewer", member = local.members.program, at = var.dataset, folder = true }
    # To create is not to replace: a model that is there stays, and a second run needs another name, which it is told
    # before it trains since it may look.
    model = { role = "roles/storage.objectCreator", member = local.members.program, at = var.output, folder = false }
    look  = { role = "roles/storage.objectViewer", member = local.members.program, at = var.output, folder = false }
  }
  # Listing is asked of the bucket itself, so names beside the folder can be seen, though not what they hold.
  bucket_conditions = {
    for name, grant in local.bucket_grants : name => join(" || ", compact([
      grant.role == "roles/storage.objectViewer" ? "resource.type == 'storage.googleapis.com/Bucket'" : "",
      grant.folder ? "resource.name.startsWith('${local.objects[name]}/')" : "resource.name == '${local.objects[name]}'",
    ]))
  }
  buckets = { for name, grant in local.bucket_grants : name => split("/", grant.at)[2] }
  objects = {
    for name, grant in local.bucket_grants :
    name => "projects/_/buckets/${local.buckets[name]}/objects/${join("/", slice(split("/", grant.at), 3, length(split("/", grant.at))))}"
  }

  # restricted.googleapis.com: Google's interfaces that a perimeter can guard, and no web site of anybody's.
  google       = "199.36.153.4/30"
  google_names = ["googleapis.com", "pkg.dev", "gcr.io"]
  owner_port   = regex(":([0-9]+)$", var.owner_url)[0]
  egress = {
    google = { range = local.google, ports = ["443"] }
    owner  = { range = var.owner_address, ports = [local.owner_port] }
  }

  metadata = {
    tee-image-reference    = var.image
    tee-restart-policy     = "Never"
    tee-install-gpu-driver = "true"
    tee-dev-shm-size-kb    = tostring(var.memory_gib * 1024 * 1024)
    tee-mount              = "type=tmpfs,source=tmpfs,destination=/tmp,size=${8 * 1024 * 1024 * 1024}"

    tee-env-LPE_DATA               = var.dataset
    tee-env-LPE_OUTPUT             = var.output
    tee-env-LPE_OWNER              = var.owner_url
    tee-env-LPE_OWNER_CERTIFICATES = var.owner_certificates
    tee-env-LPE_IDENTITY           = "//iam.googleapis.com/${local.pool_name}/providers/${local.provider}"
    tee-env-LPE_MODEL              = var.model
    tee-env-LPE_EPOCHS             = tostring(var.epochs)
  }
}
