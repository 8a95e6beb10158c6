"""Site drivers: one file for each kind of cloud, behind the interface in `dynamo.provision.sites.base`."""
