import itsdangerous

print("signed", itsdangerous.__file__)
