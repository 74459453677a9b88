# A network with two ways out, to Google's interfaces and to the owner's service, and none in.
resource "google_compute_network" "lpe" {
  project                 = var.operator_project
  name                    = "lpe-confidential"
  auto_create_subnetworks = false
  # Among them is the one to the internet.
  delete_default_routes_on_create = true

  depends_on = [google_project_service.operator]
}

resource "google_compute_subnetwork" "lpe" {
  project                  = var.operator_project
  name                     = "lpe-confidential"
  region                   = local.region
  network                  = google_compute_network.lpe.id
  ip_cidr_range            = var.ip_range
  private_ip_google_access = true
}

resource "google_compute_firewall" "out" {
  for_each = local.egress

  project            = var.operator_project
  name               = "lpe-confidential-${each.key}"
  network            = google_compute_network.lpe.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [each.value.range]

  allow {
    protocol = "tcp"
    ports    = each.value.ports
  }
}

resource "google_compute_firewall" "nothing_else" {
  for_each = { EGRESS = "out", INGRESS = "in" }

  project            = var.operator_project
  name               = "lpe-confidential-nothing-${each.value}"
  network            = google_compute_network.lpe.id
  direction          = each.key
  priority           = 65000
  destination_ranges = each.key == "EGRESS" ? ["0.0.0.0/0"] : null
  source_ranges      = each.key == "INGRESS" ? ["0.0.0.0/0"] : null

  deny {
    protocol = "all"
  }
}

resource "google_compute_route" "out" {
  for_each = { for name, way in local.egress : name => way if name == "google" || var.owner_is_public }

  project          = var.operator_project
  name             = "lpe-confidential-${each.key}"
  network          = google_compute_network.lpe.id
  dest_range       = each.value.range
  next_hop_gateway = "default-internet-gateway"
}

# The machine has no public address; this one leads to the owner's, since no route leads to any other.
resource "google_compute_router" "lpe" {
  count = var.owner_is_public ? 1 : 0

  project = var.operator_project
  name    = "lpe-confidential"
  region  = local.region
  network = google_compute_network.lpe.id
}

resource "google_compute_router_nat" "lpe" {
  count = var.owner_is_public ? 1 : 0

  project                            = var.operator_project
  name                               = "lpe-confidential"
  router                             = google_compute_router.lpe[0].name
  region                             = local.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# Google's names lead to the addresses that are open.
resource "google_dns_managed_zone" "google" {
  for_each = toset(local.google_names)

  project    = var.operator_project
  name       = "lpe-${replace(each.key, ".", "-")}"
  dns_name   = "${each.key}."
  visibility = "private"

  private_visibility_config {
    networks {
      network_url = google_compute_network.lpe.id
    }
  }

  depends_on = [google_project_service.operator]
}

resource "google_dns_record_set" "google" {
  for_each = {
    for pair in setproduct(local.google_names, ["", "*."]) : "${pair[1]}${pair[0]}" => { zone = pair[0], name = "${pair[1]}${pair[0]}." }
  }

  project      = var.operator_project
  managed_zone = google_dns_managed_zone.google[each.value.zone].name
  name         = each.value.name
  type         = "A"
  ttl          = 300
  rrdatas      = [for host in range(4) : cidrhost(local.google, host)]
}
