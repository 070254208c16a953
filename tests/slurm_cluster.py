"""A Slurm of this machine alone: its daemons on loopback, all they write in one folder."""

import os
import socket
import subprocess
import time

NODES = 2
SETTINGS = '''ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
KillWait=5
PartitionName=all Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP
'''
NODE = 'NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 ' \
       'RealMemory=2000 State=UNKNOWN\n'


def _free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def start(folder):
    """Starts it and returns the environment for its commands."""
    folder, host = str(folder), socket.gethostname().split('.')[0]
    os.makedirs(os.path.join(folder, 'state'))
    key = os.path.join(folder, 'munge.key')
    with open(key, 'wb') as stream:
        stream.write(os.urandom(1024))
    os.chmod(key, 0o400)
    os.chmod(folder, 0o755)
    with open(os.path.join(folder, 'slurm.conf'), 'w') as stream:
        for number in range(1, NODES + 1):
            stream.write(NODE.format(number=number, host=host, port=_free_port()))
        stream.write(SETTINGS.format(host=host, port=_free_port(), folder=folder, nodes=NODES))
    settings = os.path.join(folder, 'slurm.conf')
    environment = dict(os.environ, SLURM_CONF=settings)
    subprocess.run(['munged', '--force', '--key-file=' + key] + [
        f'--{kind}={folder}/munge.{ending}' for kind, ending in (
            ('socket', 'sock'), ('pid-file', 'pid'), ('log-file', 'log'), ('seed-file', 'seed'))],
        check=True, stderr=subprocess.DEVNULL)
    subprocess.run(['slurmctld', '-f', settings], check=True, env=environment)
    for number in range(1, NODES + 1):
        subprocess.run(['slurmd', '-N', f'n{number}', '-f', settings], check=True,
                       env=environment)
    for _ in range(200):
        if call(environment, 'sinfo', '-h', '-N', '-o', '%t').split() == ['idle'] * NODES:
            return environment
        time.sleep(0.1)
    raise RuntimeError(f'Slurm did not start; see {folder}')


def call(environment, *words):
    """What a command of Slurm prints."""
    return subprocess.run(words, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True).stdout


def stop(folder):
    """Ends its daemons and what they run."""
    folder = str(folder)
    environment = dict(os.environ, SLURM_CONF=os.path.join(folder, 'slurm.conf'))
    call(environment, 'scancel', '--state=RUNNING'), call(environment, 'scancel', '--state=PENDING')
    names = [f'slurmd-n{number}' for number in range(1, NODES + 1)] + ['slurmctld', 'munge']
    for name in names:
        try:
            with open(os.path.join(folder, name + '.pid')) as stream:
                os.kill(int(stream.read()), 15)
        except (OSError, ValueError):
            pass
