"""Engine `condor`: runs on an HTCondor pool, as a single job or through DAGMan."""
