"""Engine `condor`: runs on an HTCondor pool, as one job or by DAGMan."""
