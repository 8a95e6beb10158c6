"""Site drivers: one for each kind of cloud, behind the interface in `dynamo.provision.sites.base`."""
