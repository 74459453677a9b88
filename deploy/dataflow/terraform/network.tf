# Machines without public addresses reach Google's interfaces through Private Google Access, and nothing else: there is
# no NAT, and nobody outside can reach them.
resource "google_compute_network" "lpe" {
  project                 = var.project
  name                    = "lpe"
  auto_create_subnetworks = false

  depends_on = [google_project_service.owner]
}

resource "google_compute_subnetwork" "lpe" {
  project                  = var.project
  name                     = "lpe"
  region                   = var.region
  network                  = google_compute_network.lpe.id
  ip_cidr_range            = var.ip_range
  private_ip_google_access = true
}

# Dataflow's machines talk to each other on these ports; it tags them itself.
resource "google_compute_firewall" "workers" {
  project     = var.project
  name        = "lpe-dataflow"
  network     = google_compute_network.lpe.id
  direction   = "INGRESS"
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}
