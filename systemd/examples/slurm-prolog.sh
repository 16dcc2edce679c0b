#!/bin/sh
# A prolog of Slurm: warms a job's checkpoint on each of its nodes before the job starts.
#
# A job names the checkpoint in its comment:
#   sbatch --comment=warmstart:/models/bert job.sh
# Install it as a file of `Prolog=` in slurm.conf, with `PrologFlags=Alloc`. It needs the command
# warmstartctl, and users who may connect to the daemon (group warmstart-clients).
#
# It reads the checkpoint with the rights of the job's user, never with root's. A job is never stopped
# for it: without a warm checkpoint the job reads it itself. All workers of a node that come meanwhile
# wait for the same read.

# Slurm sets none, and then timeout(1) finds no runuser.
PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

comment=${SLURM_JOB_COMMENT:-}
user=${SLURM_JOB_USER:-}
case $comment in
  warmstart:/*) checkpoint=${comment#warmstart:} ;;
  *) exit 0 ;;
esac
[ -n "$user" ] && [ "$user" != root ] || exit 0

# The daemon goes on reading only as long as this asks; --linger of the daemon says how long the
# checkpoint then stays without a job.
timeout 120 runuser -u "$user" -- warmstartctl --timeout 110 preload --align 64 -- "$checkpoint" ||
  logger --tag warmstart-prolog "job ${SLURM_JOB_ID:-?}: $checkpoint is not warm"
exit 0
