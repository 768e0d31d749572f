"""Tasks of a Slurm cluster that work through a stage's units.

    executor.py   the driver: submits tasks, looks at manifests, frees what lost tasks had
    arrays.py     what its tasks are told, and giving them to sbatch
    evidence.py   what claims and jobs say of the nodes
    nodes.py      which nodes are out of order
    task.py       a task: takes units until there are none
    claims.py     who has which unit: files that all of them see
    leader.py     which of several drivers acts
    commands.py   squeue, sbatch, scancel, scontrol
    scripts.py    what is given to sbatch
    profile.py    facts of a cluster: partition, account, memory, hours

A unit is done when its manifest is there, whatever Slurm says of the task that made it. The states
of jobs only decide how soon a unit is given to another task.
"""
